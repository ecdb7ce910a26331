# The front door. Everything here is a line that you could type yourself; see CONTRIBUTING.md.
# Needs make, bash and a Debian or Ubuntu system; what else is needed is installed by scripts/install-dependencies.

PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CPPFILES = git ls-files '*.cpp' '*.hpp'

.DEFAULT_GOAL := help
.PHONY: help demo test build bench format lint sanitize fuzz coverage install package clean dependencies

help: ## this list
	@echo "make demo    a first look: fits a real table and a hard one, fuses modalities (two minutes after the build)"
	@echo "make test    build everything and run all tests"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

dependencies: ## install what is missing with apt
	@scripts/install-dependencies

build: dependencies ## build the programs into build/release/bin
	@scripts/build release programs

demo: build ## fit a real table and a hard problem, fuse modalities, with a sentence on what is seen
	@scripts/demo build/release/bin/clearway

test: dependencies ## build everything and run all tests
	@scripts/build release
	@scripts/run-tests release

bench: dependencies ## compare with R's flexmix and mixtools on this machine, and how time grows
	@scripts/install-dependencies bench
	@scripts/build bench
	@bench/run build/bench

format: ## lay out the C++ sources with clang-format
	@scripts/install-dependencies check
	@$(CPPFILES) | xargs clang-format-14 -i

lint: dependencies ## check layout, sources, headers, scripts and spelling
	@scripts/install-dependencies check
	@scripts/lint

sanitize: dependencies ## run the fast tests under the sanitizers (address, undefined behaviour; threads)
	@scripts/build asan
	@scripts/run-tests asan
	@scripts/build tsan
	@scripts/run-tests tsan

fuzz: dependencies ## look for inputs that break the readers, a short while
	@scripts/install-dependencies check
	@scripts/build fuzz
	@scripts/run-tests fuzz

coverage: dependencies ## which lines the tests run: build/coverage/coverage.html
	@scripts/install-dependencies check
	@scripts/build coverage
	@scripts/run-tests coverage
	@gcovr --root . --filter src/ --filter include/ --filter apps/ --exclude-throw-branches --print-summary \
	  --html-details build/coverage/coverage.html build/coverage

install: dependencies ## build and install under PREFIX (/usr/local)
	@scripts/build release
	@cmake --install build/release --prefix "$(PREFIX)"

package: dependencies ## Debian packages in build/release/packages
	@scripts/build release
	@cpack --config build/release/CPackConfig.cmake -G DEB -B build/release/packages

clean: ## remove the folder build
	@rm -rf build
