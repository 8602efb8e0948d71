"""wow_tests: one cc_test for each *_test.cc of a folder."""

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
