from rtcore._pure.deflate import *
