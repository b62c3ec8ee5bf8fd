# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The wasm32 link test: base, and every protocol core together with base, become
# modules that keep every function and may import nothing. That is our
# definition of "no I/O, no clock, no randomness of its own".
enable_testing()
find_program(WASM_LD NAMES wasm-ld-14 wasm-ld REQUIRED)
find_program(NODE NAMES node nodejs REQUIRED)
find_library(WASI_LIBC NAMES c PATHS /usr/lib/wasm32-wasi REQUIRED NO_DEFAULT_PATH
    NO_CMAKE_FIND_ROOT_PATH)
execute_process(COMMAND ${CMAKE_C_COMPILER} --target=wasm32-wasi -print-libgcc-file-name
    OUTPUT_VARIABLE WASM_RT OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

function(alk_wasm_module name)
    cmake_parse_arguments(A "" "" "SOURCES;WITH" ${ARGN})
    add_library(wasm_${name} OBJECT ${A_SOURCES})
    alk_flags(wasm_${name})
    # Every function of ours stays, so that what it needs shows.
    target_compile_options(wasm_${name} PRIVATE -fvisibility=default)
    set(objects $<TARGET_OBJECTS:wasm_${name}>)
    foreach(other ${A_WITH})
        list(APPEND objects $<TARGET_OBJECTS:wasm_${other}>)
    endforeach()
    add_custom_command(OUTPUT ${name}.wasm
        COMMAND ${WASM_LD} --no-entry --export-dynamic --fatal-warnings --stack-first
            -z stack-size=65536 ${objects} ${WASI_LIBC} ${WASM_RT} -o ${name}.wasm
        DEPENDS ${objects} COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_target(module_${name} ALL DEPENDS ${name}.wasm)
    add_test(NAME wasm_${name} COMMAND ${NODE} ${CMAKE_SOURCE_DIR}/tests/wasm/imports.js
        ${CMAKE_BINARY_DIR}/${name}.wasm)
    set_tests_properties(wasm_${name} PROPERTIES TIMEOUT 60)
endfunction()

file(GLOB base CONFIGURE_DEPENDS src/base/*.c)
alk_wasm_module(base SOURCES ${base})
file(GLOB protos CONFIGURE_DEPENDS src/*/proto)
foreach(dir ${protos})
    file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.c)
    if(sources)
        cmake_path(GET dir PARENT_PATH folder)
        cmake_path(GET folder FILENAME name)
        alk_wasm_module(${name} SOURCES ${sources} WITH base)
    endif()
endforeach()

# The client of Git's protocol v2 does its work there too.
add_test(NAME wasm_git_v2 COMMAND ${NODE} ${CMAKE_SOURCE_DIR}/tests/wasm/git_v2.js
    ${CMAKE_BINARY_DIR}/git.wasm ${CMAKE_SOURCE_DIR}/tests/vectors/git/v2-shallow-sha1.c2s
    ${CMAKE_SOURCE_DIR}/tests/vectors/git/v2-shallow-sha1.s2c)
set_tests_properties(wasm_git_v2 PROPERTIES TIMEOUT 60)
