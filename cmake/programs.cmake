# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Examples (they use the public interface only) and benchmarks (`bench` target).
file(GLOB alk_examples CONFIGURE_DEPENDS examples/*.c)
foreach(source ${alk_examples})
    cmake_path(GET source STEM name)
    add_executable(example_${name} EXCLUDE_FROM_ALL ${source})
    target_compile_options(example_${name} PRIVATE ${ALK_WARNINGS} ${ALK_CFLAGS})
    target_include_directories(example_${name} PRIVATE include)
    target_link_libraries(example_${name} PRIVATE alknet_shared)
    set_target_properties(example_${name} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/examples)
    if(ALK_TESTS)
        set_target_properties(example_${name} PROPERTIES EXCLUDE_FROM_ALL OFF)
    endif()
endforeach()

add_custom_target(bench)
file(GLOB alk_benches CONFIGURE_DEPENDS bench/*.c)
foreach(source ${alk_benches})
    cmake_path(GET source STEM name)
    add_executable(bench_${name} EXCLUDE_FROM_ALL ${source})
    alk_flags(bench_${name})
    target_link_libraries(bench_${name} PRIVATE alknet_static m)
    set_target_properties(bench_${name} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
    add_dependencies(bench bench_${name})
endforeach()
if(alk_cli)
    add_dependencies(bench alknet)
endif()
