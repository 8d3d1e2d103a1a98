cdef void xor_kernel(unsigned char *output, const unsigned char *source, Py_ssize_t size, const unsigned char *key,
                     int phase) noexcept nogil

cpdef bytes unmask_slice(bytes data, Py_ssize_t start, Py_ssize_t stop, bytes mask, int phase)
