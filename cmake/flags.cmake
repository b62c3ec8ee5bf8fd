# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Compiler and linker flags of everything that is ours: alk_flags(target).

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

set(ALK_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
    -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wcast-qual -Wcast-align -Wwrite-strings
    -Wpointer-arith -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -Wdouble-promotion)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND ALK_WARNINGS -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
else()
    list(APPEND ALK_WARNINGS -Wcomma -Wshorten-64-to-32 -Wconditional-uninitialized
        -Wmissing-variable-declarations)
endif()
if(NOT ALK_SANITIZE)
    list(APPEND ALK_WARNINGS -Wnull-dereference)
endif()
if(ALK_WERROR)
    list(APPEND ALK_WARNINGS -Werror)
endif()

set(ALK_CFLAGS -fvisibility=hidden -fno-common -fno-strict-aliasing)
set(ALK_LDFLAGS)
if(ALK_SANITIZE)
    list(APPEND ALK_CFLAGS -fsanitize=${ALK_SANITIZE} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    list(APPEND ALK_LDFLAGS -fsanitize=${ALK_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT ALK_WASM)
    list(APPEND ALK_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
        -fstack-clash-protection)
    list(APPEND ALK_LDFLAGS -Wl,-z,relro,-z,now)
endif()
# assert() is not used; ALK_ASSERT is always on, so a release keeps its checks.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

function(alk_flags target)
    target_include_directories(${target} PUBLIC
        ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_compile_options(${target} PRIVATE ${ALK_WARNINGS} ${ALK_CFLAGS}
        -include ${CMAKE_SOURCE_DIR}/src/base/banned.h)
    # Empty value: a file that says `#define _GNU_SOURCE` itself means the same.
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE= $<$<CONFIG:Debug>:ALK_DEBUG>)
    target_link_options(${target} PUBLIC ${ALK_LDFLAGS})
endfunction()
