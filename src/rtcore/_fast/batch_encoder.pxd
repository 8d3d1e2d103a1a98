# Arguments stay objects: `join` accepts every contiguous buffer, and so both twins accept the same.
cpdef bytes encode_message(object body, object position)
cpdef bytes encode_batch(object messages, object timestamp)
cpdef bytes join(object parts)
