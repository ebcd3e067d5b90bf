// The kernel for any processor: a file of its own, so that the levels compile side by side.
#define HSN_MODULE portable
#include "module.cpp"
