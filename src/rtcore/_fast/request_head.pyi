from rtcore._pure.request_head import *
