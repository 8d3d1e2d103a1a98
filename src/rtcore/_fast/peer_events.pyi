from rtcore._pure.peer_events import *
