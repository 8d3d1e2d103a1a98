from rtcore._pure.frame_outbox import *
