from rtcore._pure.json_text import *
