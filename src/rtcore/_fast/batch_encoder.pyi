from rtcore._pure.batch_encoder import *
