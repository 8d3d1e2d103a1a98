from rtcore._pure.frame_writer import *
