#include "tools/cli/host_lists.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

const std::vector<PoolHost> kTwo = {{"node1", "10.128.0.7", "fd00::7"},
                                    {"node2", "10.128.3.9", "fd00::9"}};

std::string list(const std::string& format, int cpus = 2) {
  return host_list(format, kTwo, {"my-lab", cpus});
}

TEST(HostList, IsTheFileThatEachWants) {
  EXPECT_EQ(list("hosts"),
            "10.128.0.7\tnode1.my-lab.internal node1\n"
            "fd00::7\tnode1.my-lab.internal node1\n"
            "10.128.3.9\tnode2.my-lab.internal node2\n"
            "fd00::9\tnode2.my-lab.internal node2\n");
  EXPECT_EQ(list("pbs"), "node1 np=2\nnode2 np=2\n");
  EXPECT_EQ(list("slurm"),
            "NodeName=node1 NodeAddr=10.128.0.7 CPUs=2 State=UNKNOWN\n"
            "NodeName=node2 NodeAddr=10.128.3.9 CPUs=2 State=UNKNOWN\n"
            "PartitionName=my-lab Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP\n");
  EXPECT_EQ(list("pvm"), "node1\nnode2\n");
  EXPECT_EQ(list("mpi"), "node1 slots=2\nnode2 slots=2\n");
  EXPECT_EQ(list("mpich", 1), "node1:1\nnode2:1\n");
  EXPECT_EQ(list("ansible"),
            "[wow_my_lab]\nnode1 ansible_host=10.128.0.7\nnode2 ansible_host=10.128.3.9\n");
}

TEST(HostList, EveryFormatThatIsNamedIsWritten) {
  EXPECT_EQ(host_formats().size(), 7u);
  for (const std::string& format : host_formats()) EXPECT_NE(list(format), "") << format;
}

TEST(ChosenHosts, MatchThePatternAndAreInTheOrderOfTheirNumbers) {
  const std::vector<PoolHost> hosts = {
      {"node10", "10.0.0.1"}, {"head", "10.0.0.2"}, {"", "10.0.0.3"}, {"node9", "10.0.0.4"}};
  const auto nodes = chosen_hosts(hosts, "node*");
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].name, "node9");
  EXPECT_EQ(nodes[1].name, "node10");
  EXPECT_EQ(chosen_hosts(hosts, "*").size(), 3u) << "a host whose name is not known is left out";
  EXPECT_TRUE(chosen_hosts(hosts, "x*").empty());
}

TEST(MpiEnvironment, NamesTheInterfaceToEachLibrary) {
  int named = 0;
  for (const Variable& variable : mpi_environment("wow-lab")) named += variable.value == "wow-lab";
  EXPECT_EQ(named, 5);
}

}  // namespace
}  // namespace wow
