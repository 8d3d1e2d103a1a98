"""
A text that is written word by word, for readers who come and go.

    python examples/outputs.py

The first reader follows live. The second comes late and still has all of it. A third asks for the end of a text that
would go on for ever: the producer's block ends there, and its program goes on.
"""

from __future__ import annotations

from itertools import cycle

import trio

import rtcore

WORDS = ["It", "was", "a", "dark", "and", "stormy", "night"]


async def follow(hub: rtcore.ApplicationHub, name: str, delay: float) -> None:
    await trio.sleep(delay)
    async with hub.outputs.read("story") as reader:
        parts = [content.text async for content in reader]
    print(f"{name} read {''.join(parts)!r} in {'one piece' if len(parts) == 1 else 'pieces'}")


async def main() -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        async with hub.outputs.text("A story", output_id="story") as story:
            nursery.start_soon(follow, hub, "the first", 0.0)
            for number, word in enumerate(WORDS):
                story.write(" " * bool(number) + word)
                await trio.sleep(0.06)
        nursery.start_soon(follow, hub, "the second", 0.1)

        async with hub.outputs.text("Without end", output_id="endless") as endless:
            for word in cycle(WORDS):
                endless.write(word)
                await trio.sleep(0.01)
                if endless.state.length > 100:
                    hub.outputs.cancel("endless", by="the third", reason="that will do")
        print(f"cancelled: {endless.cancelled} ({endless.reason}); the program goes on")


if __name__ == "__main__":
    trio.run(main)
