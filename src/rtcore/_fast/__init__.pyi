from rtcore._pure.batch_encoder import encode_batch as encode_batch
from rtcore._pure.batch_encoder import encode_message as encode_message
from rtcore._pure.batch_encoder import join as join
from rtcore._pure.deflate import MessageDeflater as MessageDeflater
from rtcore._pure.deflate import MessageInflater as MessageInflater
from rtcore._pure.event_ring import EventRing as EventRing
from rtcore._pure.token_bucket import TokenBucket as TokenBucket

FAMILIES: tuple[str, ...]
IMPLEMENTATION: str
