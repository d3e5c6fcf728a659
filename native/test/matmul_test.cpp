#include "matmul.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>

#include <vector>

#include "oracle.h"

#include "check.h"

namespace ilr::test {
namespace {

struct Shape {
  int64_t m, k, n;
};
// Single rows and columns, tails of every tile, runs of k longer than one packed block, and the widths of real models.
const std::vector<Shape> shapes{{1, 1, 1}, {1, 48, 61}, {7, 5, 3}, {13, 257, 33}, {12, 512, 32}, {64, 64, 130}, {5, 600, 97}, {200, 31, 65}};

TEST("matmul: equal to ATen for every layout, overwritten and added to") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const Shape& s : shapes) {
      const at::Tensor a = normal({s.m, s.k}, type, 1), b = normal({s.k, s.n}, type, 2);
      const at::Tensor a_turned = a.t().contiguous().t(), b_turned = b.t().contiguous().t();
      const at::Tensor expected = at::mm(a.to(at::kDouble), b.to(at::kDouble));
      for (const at::Tensor& left : {a, a_turned}) {
        for (const at::Tensor& right : {b, b_turned}) {
          CHECK(relative_error(matrix_product(left, right), expected) <= oracle_bound(type));
          at::Tensor sum = normal({s.m, s.n}, type, 3);
          const at::Tensor before = sum.to(at::kDouble, false, true);
          matrix_product_into(sum, left, right, true);
          CHECK(relative_error(sum, before + expected) <= oracle_bound(type));
        }
      }
    }
  }
}

TEST("matmul: a row does not depend on its neighbours, bit for bit") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const Shape& s : shapes) {
      const at::Tensor a = normal({s.m, s.k}, type, 1), weight = normal({s.n, s.k}, type, 2);
      const at::Tensor all = matrix_product(a, weight.t());
      for (const int64_t row : {int64_t{0}, s.m / 2, s.m - 1}) {
        CHECK(at::equal(matrix_product(a.narrow(0, row, 1), weight.t()), all.narrow(0, row, 1)));
      }
      const int64_t half = (s.m + 1) / 2;
      CHECK(at::equal(matrix_product(at::cat({a.narrow(0, s.m - half, half), a.narrow(0, 0, half)}), weight.t()),
                      at::cat({all.narrow(0, s.m - half, half), all.narrow(0, 0, half)})));
    }
  }
}

TEST("matmul: linear equals its oracle, with and without bias and residual") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const Shape& s : shapes) {
      const at::Tensor x = normal({s.m, s.k}, type, 1), weight = normal({s.n, s.k}, type, 2);
      check_against([](const auto& in) { return linear_layer(in[0], in[1]); },
                    [](const auto& in) { return at::mm(in[0], in[1].t()); }, {x, weight});
      check_against([](const auto& in) { return linear_layer(in[0], in[1], in[2]); },
                    [](const auto& in) { return at::mm(in[0], in[1].t()) + in[2]; }, {x, weight, normal({s.n}, type, 3)});
      check_against([](const auto& in) { return linear_layer(in[0], in[1], {}, in[2]); },
                    [](const auto& in) { return at::mm(in[0], in[1].t()) + in[2]; },
                    {x, weight, normal({s.m, s.n}, type, 4)});
      check_against([](const auto& in) { return linear_layer(in[0], in[1], in[2], in[3]); },
                    [](const auto& in) { return at::mm(in[0], in[1].t()) + in[2] + in[3]; },
                    {x, weight, normal({s.n}, type, 3), normal({s.m, s.n}, type, 4)});
    }
  }
}

}  // namespace
}  // namespace ilr::test
