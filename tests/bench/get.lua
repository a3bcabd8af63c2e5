-- GET with the key.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")
