from rtcore._pure.traffic import *
