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
# The programs of peers need the peers' libraries (tools/deps bench).
find_library(ALK_NATS_LIBRARY nats)
if(NOT ALK_NATS_LIBRARY)
    list(FILTER alk_benches EXCLUDE REGEX "/peer_nats\\.c$")
endif()
foreach(source ${alk_benches})
    cmake_path(GET source STEM name)
    add_executable(bench_${name} EXCLUDE_FROM_ALL ${source})
    alk_flags(bench_${name})
    target_link_libraries(bench_${name} PRIVATE alknet_static m)
    set_target_properties(bench_${name} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
    add_dependencies(bench bench_${name})
endforeach()
target_link_libraries(bench_secret PRIVATE alksec_static)
if(ALK_NATS_LIBRARY)
    target_link_libraries(bench_peer_nats PRIVATE ${ALK_NATS_LIBRARY})
endif()

find_program(ALK_PROTOC protoc)
find_program(ALK_GRPC_PLUGIN grpc_cpp_plugin)
find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
    pkg_check_modules(ALK_GRPC QUIET IMPORTED_TARGET grpc++ protobuf)
endif()
if(ALK_PROTOC AND ALK_GRPC_PLUGIN AND ALK_GRPC_FOUND)
    enable_language(CXX)
    set(alk_grpc_dir ${CMAKE_BINARY_DIR}/bench/grpc)
    set(alk_grpc_made ${alk_grpc_dir}/peer_grpc.pb.cc ${alk_grpc_dir}/peer_grpc.grpc.pb.cc)
    add_custom_command(OUTPUT ${alk_grpc_made}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${alk_grpc_dir}
        COMMAND ${ALK_PROTOC} -I ${CMAKE_SOURCE_DIR}/bench --cpp_out=${alk_grpc_dir}
            --grpc_out=${alk_grpc_dir} --plugin=protoc-gen-grpc=${ALK_GRPC_PLUGIN}
            ${CMAKE_SOURCE_DIR}/bench/peer_grpc.proto
        DEPENDS bench/peer_grpc.proto VERBATIM)
    add_executable(bench_peer_grpc EXCLUDE_FROM_ALL bench/peer_grpc.cc ${alk_grpc_made})
    target_include_directories(bench_peer_grpc SYSTEM PRIVATE ${alk_grpc_dir})
    target_link_libraries(bench_peer_grpc PRIVATE PkgConfig::ALK_GRPC)
    set_target_properties(bench_peer_grpc PROPERTIES CXX_STANDARD 17
        OUTPUT_NAME peer_grpc RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
    add_dependencies(bench bench_peer_grpc)
endif()
if(alk_cli)
    add_dependencies(bench alknet)
endif()
