# One fit by a package from R, as a line of JSON: log-likelihood, CPU seconds of the fit alone, experts left.
#
#   Rscript fit.R METHOD FAMILY EXPERTS SEED DATA.csv
#
# METHOD: flexmix-default   flexmix as it comes: experts below 5 % of the rows are dropped, 200 iterations, 1e-6
#         flexmix-tight     no expert dropped, up to 1000 iterations, 1e-8
#         flexmix-constant  the same with weights that do not depend on the inputs
#         regmixEM          mixtools, constant weights, up to 1000 iterations, 1e-8
#         hmeEM             mixtools, 2 experts, up to 1000 iterations, 1e-8
# FAMILY: gaussian poisson binomial (successes y out of trials). All other columns are inputs of experts and gate.
arguments <- commandArgs(trailingOnly = TRUE)
method <- arguments[1]
family <- arguments[2]
experts <- as.integer(arguments[3])
set.seed(as.integer(arguments[4]))
data <- read.csv(arguments[5])
inputs <- setdiff(names(data), c("y", "trials"))
suppressPackageStartupMessages(if (method %in% c("regmixEM", "hmeEM")) library(mixtools) else library(flexmix))

cpu <- function(expression) {
  before <- proc.time()
  value <- force(expression)
  spent <- proc.time() - before
  list(value = value, cpu = sum(spent[c("user.self", "sys.self", "user.child", "sys.child")]))
}

if (method %in% c("regmixEM", "hmeEM")) {
  x <- as.matrix(data[inputs])
  em <- if (method == "regmixEM") regmixEM else hmeEM
  sink(stderr())
  fitted <- cpu(em(data$y, x, k = experts, maxit = 1000, epsilon = 1e-8))
  sink()
  ll <- fitted$value$loglik
  result <- list(ll = ll[length(ll)], left = experts)
} else {
  left <- if (family == "binomial") "cbind(y, trials - y)" else "y"
  formula <- as.formula(paste(left, "~", paste(inputs, collapse = " + ")))
  gate <- if (method == "flexmix-constant") FLXPconstant() else
    FLXPmultinom(as.formula(paste("~", paste(inputs, collapse = " + "))))
  control <- if (method == "flexmix-default") list() else list(minprior = 0, iter.max = 1000, tolerance = 1e-8)
  model <- FLXMRglm(family = family)
  fitted <- cpu(flexmix(formula, data = data, k = experts, model = model, concomitant = gate, control = control))
  result <- list(ll = as.numeric(logLik(fitted$value)), left = fitted$value@k)
}
cat(sprintf('{"ll": %.10g, "cpu": %.4f, "experts": %d}\n', result$ll, fitted$cpu, as.integer(result$left)))
