// Bundles the charts into dist/report.js and dist/report.css, which are checked in, so that who builds the C++ program needs
// no node. `node build.mjs --check` says whether dist/ is what the sources give, and ends with 1 when it is not.
import { build } from "esbuild";
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

const result = await build({
  absWorkingDir: here,
  entryPoints: [{ in: "src/main.js", out: "report" }, { in: "src/report.css", out: "report" }],
  outdir: "dist",
  bundle: true,
  minify: true,
  charset: "ascii",
  format: "iife",
  target: ["es2020"],
  legalComments: "none",
  // Licences of what is bundled stay with it.
  banner: {
    js: "/* Clearway's report; bundles Observable Plot (ISC), D3 (ISC) and uPlot (MIT): see web/LICENSES.md */",
    css: "/* Clearway's report; bundles the style of uPlot (MIT) */",
  },
  write: false,
});

let stale = 0;
mkdirSync(join(here, "dist"), { recursive: true });
for (const file of result.outputFiles) {
  const name = file.path.slice(here.length + 1);
  if (process.argv.includes("--check")) {
    let kept = "";
    try {
      kept = readFileSync(file.path, "utf8");
    } catch {
      // not there: as good as different
    }
    if (kept !== file.text) {
      console.error(`web/${name} is not what web/src gives: run 'npm ci && npm run build' in web/ and commit it`);
      stale = 1;
    }
  } else {
    writeFileSync(file.path, file.text);
    console.log(`web/${name}: ${file.text.length} bytes`);
  }
}
process.exit(stale);
