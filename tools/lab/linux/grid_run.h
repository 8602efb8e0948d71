// The whole grid: several cells side by side, each taking the next pair that nobody has.
#pragma once

#include <functional>
#include <vector>

#include "tools/lab/grid.h"
#include "tools/lab/linux/grid_cell.h"
#include "tools/lab/linux/keeper.h"

namespace wow::lab {

// Fills a new laboratory with what every one has (this program in the PATH); its status.
using PrepareLab = std::function<int(const Keeper&, const Topology&)>;

// Measures all pairs; calls `on_row` for each as it is done. The rows are in the order of the
// pairs; of a pair whose laboratory broke off the path is "unmeasured". Everything made is gone
// when it returns or throws, or when this process is killed.
std::vector<GridRow> run_grid(const std::vector<std::pair<GridKind, GridKind>>& pairs,
                              std::size_t cells, const GridCellOptions& options,
                              const PrepareLab& prepare,
                              const std::function<void(const GridRow&)>& on_row);

}  // namespace wow::lab
