cpdef bytes frame_header(int opcode, long long length, bint rsv1=*, bint fin=*, bint masked=*)

cpdef bytes encode_frame(int opcode, bytes payload, bint rsv1=*, bint fin=*, bytes mask=*)
