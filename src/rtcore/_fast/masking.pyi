from rtcore._pure.masking import *
