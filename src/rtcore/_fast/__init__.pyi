from rtcore._pure.batch_encoder import encode_batch as encode_batch
from rtcore._pure.batch_encoder import encode_message as encode_message
from rtcore._pure.batch_encoder import join as join
from rtcore._pure.deflate import MessageDeflater as MessageDeflater
from rtcore._pure.deflate import MessageInflater as MessageInflater
from rtcore._pure.event_ring import EventRing as EventRing
from rtcore._pure.fan_out import FanOut as FanOut
from rtcore._pure.fan_out import SlotGroup as SlotGroup
from rtcore._pure.filter_program import FilterProgram as FilterProgram
from rtcore._pure.filter_program import passing as passing
from rtcore._pure.frame_exchange import FrameExchange as FrameExchange
from rtcore._pure.frame_writer import encode_frame as encode_frame
from rtcore._pure.frame_writer import frame_header as frame_header
from rtcore._pure.framing import FrameParser as FrameParser
from rtcore._pure.json_text import encode_event_text as encode_event_text
from rtcore._pure.json_text import holds_null as holds_null
from rtcore._pure.json_text import json_depth_exceeds as json_depth_exceeds
from rtcore._pure.masking import apply_mask as apply_mask
from rtcore._pure.masking import unmask_slice as unmask_slice
from rtcore._pure.peer_events import MessageReceived as MessageReceived
from rtcore._pure.peer_events import PingReceived as PingReceived
from rtcore._pure.peer_events import PongReceived as PongReceived
from rtcore._pure.request_head import RequestHead as RequestHead
from rtcore._pure.request_head import check_head_bytes as check_head_bytes
from rtcore._pure.request_head import check_line_bytes as check_line_bytes
from rtcore._pure.request_head import parse_request_head as parse_request_head
from rtcore._pure.request_head import whole_head_bytes as whole_head_bytes
from rtcore._pure.socket_table import AVAILABLE as AVAILABLE
from rtcore._pure.socket_table import SlotOwner as SlotOwner
from rtcore._pure.socket_table import SocketSlot as SocketSlot
from rtcore._pure.socket_table import SocketTable as SocketTable
from rtcore._pure.socket_table import accept_all as accept_all
from rtcore._pure.token_bucket import TokenBucket as TokenBucket
from rtcore._pure.utf8 import Utf8Validator as Utf8Validator
from rtcore._pure.utf8 import is_utf8 as is_utf8

FAMILIES: tuple[str, ...]
IMPLEMENTATION: str
