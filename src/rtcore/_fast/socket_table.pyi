from rtcore._pure.socket_table import *
