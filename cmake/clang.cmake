# SPDX-License-Identifier: MIT OR Apache-2.0
# Toolchain file: clang, whatever Debian calls it.
find_program(ALK_CLANG NAMES clang-14 clang REQUIRED)
set(CMAKE_C_COMPILER ${ALK_CLANG})
