from rtcore._pure.event_ring import *
