from rtcore._pure.frame_exchange import *
