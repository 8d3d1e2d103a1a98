from rtcore._pure.framing import *
