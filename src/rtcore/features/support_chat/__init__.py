"""Support chat: sessions, the queue, agents and satisfaction, as an application reports them."""
