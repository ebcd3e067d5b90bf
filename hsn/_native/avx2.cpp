// The kernel for processors with AVX2: a file of its own, so that the levels compile side by side.
#define HSN_MODULE avx2
#include "module.cpp"
