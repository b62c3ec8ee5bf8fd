# SPDX-License-Identifier: MIT OR Apache-2.0
# Toolchain file: clang for wasm32 with wasi-libc's headers and libc.a.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
find_program(ALK_CLANG NAMES clang-14 clang REQUIRED)
set(CMAKE_C_COMPILER ${ALK_CLANG})
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
