#pragma once

#include <map>
#include <string>
#include <vector>

#include "policy_fixture.h"

// The grid of golden/losses: every loss and option against plain PyTorch (golden/make_losses.py).
namespace ilr::test {

struct LossCase {
  std::string name;
  TrainingBatch batch;
  UpdateOptions options;
  Tensors gradients;                     // float64
  std::map<std::string, double> report;  // by the names of UpdateResult
};

std::vector<LossCase> read_loss_cases();
LossCase read_loss_case(const std::string& name);

// Advantages of the batch by "<baseline> <scale> <std>", with epsilon 1e-4.
std::map<std::string, std::vector<double>> read_advantage_cases();

Baseline baseline_of(const std::string& name);
AdvantageScale scale_of(const std::string& name);
Deviation deviation_of(const std::string& name);

double figure(const UpdateResult& result, const std::string& name);

}  // namespace ilr::test
