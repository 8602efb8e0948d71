// What the daemon tells about itself, as JSON: the answers to `wow status`, `wow peers` and `wow
// leases`. Keys are part of the command line's promise (`--json`); times are in seconds, sizes in
// bytes.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "overlay/node.h"
#include "tap/virtual_network.h"

namespace wow {

using NodeNames = std::unordered_map<Address, LeaseRow, AddressHash>;

boost::json::object counters_json(const Metrics& metrics);
// The same as lines of the Prometheus text format.
std::string counters_prometheus(const Metrics& metrics, const std::string& pool);

// `via`: of a stream's far endpoint, what leads there ("through proxy ..."), or empty.
boost::json::array peers_json(const std::vector<EdgeInfo>& edges, const NodeNames& names,
                              const std::function<std::string(const Endpoint&)>& via = {});
// The hops of a trace along the ring; or of a path that is direct or relayed, with the round trip
// to its relay and what is known of a second one. Round trips of zero are not known.
boost::json::array trace_json(const std::vector<TraceStep>& steps, const NodeNames& names);
boost::json::array trace_json(const Session& session, const NodeNames& names, Duration relay = {},
                              const SecondRelay& second = {});
boost::json::object dht_json(const DhtStatus& status);
boost::json::object stat_json(const std::string& key, const DhtStat& stat);
boost::json::object record_json(const DhtRecord& record);
boost::json::array leases_json(const std::vector<LeaseRow>& rows);

}  // namespace wow
