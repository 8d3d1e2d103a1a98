from rtcore._pure.token_bucket import *
