"""wow_tests and wow_script_tests: one test for each *_test.cc or *_test.sh of a folder."""

def wow_tests(deps, data = [], sizes = {}, tags = {}):
    """Makes a test `x_test` of every x_test.cc.

    Other .cc and .h files of the folder are shared by its tests.

    Args:
      deps: the floors tested, for every test.
      data: files the tests read, for every test.
      sizes: test name -> size, where it is not "small".
      tags: test name -> more tags, such as "exclusive".
    """
    native.cc_library(
        name = "support",
        testonly = True,
        srcs = native.glob(["*.cc"], exclude = ["*_test.cc"]),
        hdrs = native.glob(["*.h"]),
        visibility = ["//tests:__subpackages__"],
        deps = deps + ["@gtest"],
    )
    for src in native.glob(["*_test.cc"]):
        name = src[:-len(".cc")]

        # block-network: each test owns a fresh network namespace, so tests share
        # no ports and may make TAPs, veths and nftables rules.
        native.cc_test(
            name = name,
            size = sizes.get(name, "small"),
            srcs = [src],
            data = data,
            tags = ["block-network"] + tags.get(name, []),
            deps = deps + [
                ":support",
                "@gtest//:gtest_main",
            ],
        )

def wow_script_tests(data = [], sizes = {}, tags = {}):
    """Makes a test `x_test` of every x_test.sh; one that cannot run exits with 77.

    Args:
      data: files and programs the scripts use, for every test; other files of the
        folder are there anyway.
      sizes: test name -> size, where it is not "medium".
      tags: test name -> more tags, such as "exclusive".
    """
    for src in native.glob(["*_test.sh"]):
        name = src[:-len(".sh")]
        native.sh_test(
            name = name,
            size = sizes.get(name, "medium"),
            srcs = ["//tests:run_script.sh"],
            args = ["$(rootpath %s)" % src],
            data = data + native.glob(["*"], exclude = ["BUILD"]),
            tags = ["block-network"] + tags.get(name, []),
        )
