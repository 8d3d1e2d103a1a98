from rtcore._pure.utf8 import *
