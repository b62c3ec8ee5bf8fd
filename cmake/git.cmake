# SPDX-License-Identifier: MIT OR Apache-2.0
#
# alknet-git: what the node starts for a request of Git, and, under other names, the hooks
# that git starts. The build tree is laid out as it is installed: libexec/alknet/ beside the
# command.
file(GLOB alk_git_src CONFIGURE_DEPENDS cli/gitrun/*.c)
set(alk_libexec ${CMAKE_BINARY_DIR}/libexec/alknet)
add_executable(alknet_git ${alk_git_src})
alk_flags(alknet_git)
target_include_directories(alknet_git PRIVATE cli/gitrun)
target_link_libraries(alknet_git PRIVATE alknet_static)
# It starts several times for each push: only the libraries that it uses.
target_link_options(alknet_git PRIVATE -Wl,--as-needed)
set_target_properties(alknet_git PROPERTIES
    OUTPUT_NAME alknet-git RUNTIME_OUTPUT_DIRECTORY ${alk_libexec})
add_dependencies(alknet alknet_git)

set(alk_git_links)
foreach(link git-hooks/pre-receive git-hooks/post-receive git-hooks/pack-objects
        git-hooks-all/pre-receive
        git-hooks-all/post-receive git-hooks-all/update git-hooks-all/post-update)
    cmake_path(GET link PARENT_PATH folder)
    list(APPEND alk_git_links COMMAND ${CMAKE_COMMAND} -E make_directory ${alk_libexec}/${folder}
        COMMAND ${CMAKE_COMMAND} -E create_symlink ../alknet-git ${alk_libexec}/${link})
endforeach()
add_custom_command(TARGET alknet_git POST_BUILD ${alk_git_links} VERBATIM)
install(TARGETS alknet_git RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/alknet)
install(DIRECTORY ${alk_libexec}/git-hooks ${alk_libexec}/git-hooks-all
    DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/alknet)
