// The kernel for processors with AVX-512: a file of its own, so that the levels compile side by side.
#define HSN_MODULE avx512
#include "module.cpp"
