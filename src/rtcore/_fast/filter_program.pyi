from rtcore._pure.filter_program import *
