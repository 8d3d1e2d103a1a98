from rtcore._pure.fan_out import *
