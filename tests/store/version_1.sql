-- A database as version 1 of the tables wrote it, dumped by sqlite3, infinity and −0.0 mended by hand. Frozen: later versions must open it.
BEGIN TRANSACTION;
CREATE TABLE checkpoints (
	id TEXT NOT NULL,
	spec_json TEXT NOT NULL,
	seed BIGINT NOT NULL,
	code_digest TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	path TEXT NOT NULL,
	trial_id INTEGER NOT NULL,
	made_at TEXT NOT NULL,
	CONSTRAINT pk_checkpoints PRIMARY KEY (id),
	CONSTRAINT fk_checkpoints_trial_id FOREIGN KEY(trial_id) REFERENCES trials (id)
);
INSERT INTO "checkpoints" VALUES('abc','{}',0,'c0de','11','checkpoints/abc.safetensors',2,'2026-11-22T10:00:04.000000+00:00');
CREATE TABLE checks (
	id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	"case" TEXT NOT NULL,
	precision TEXT NOT NULL,
	passed BOOLEAN NOT NULL,
	deviation ,
	tolerance ,
	compared BIGINT NOT NULL,
	skipped BIGINT NOT NULL,
	detail TEXT NOT NULL,
	CONSTRAINT pk_checks PRIMARY KEY (id),
	CONSTRAINT fk_checks_trial_id FOREIGN KEY(trial_id) REFERENCES trials (id)
);
INSERT INTO "checks" VALUES(1,2,'batch 2','float64',1,3.0e-16,1.0e-10,64,0,'');
CREATE TABLE harness_alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT harness_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "harness_alembic_version" VALUES('0001');
CREATE TABLE runs (
	id TEXT NOT NULL,
	identity_digest TEXT NOT NULL,
	ordinal INTEGER NOT NULL,
	study TEXT NOT NULL,
	scale TEXT NOT NULL,
	study_digest TEXT NOT NULL,
	code_digest TEXT NOT NULL,
	environment_digest TEXT NOT NULL,
	plant TEXT,
	study_json TEXT NOT NULL,
	study_source TEXT NOT NULL,
	environment TEXT NOT NULL,
	expected_trials INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	CONSTRAINT pk_runs PRIMARY KEY (id),
	CONSTRAINT uq_runs_identity_digest UNIQUE (identity_digest, ordinal)
);
INSERT INTO "runs" VALUES('69b88b0af2eb-1','69b88b0af2eb',1,'kv_cache','cpu','5747d7','c0de','e0e0',NULL,'{"study":"kv_cache"}','study: kv_cache
','{"cpu":"EPYC","threads":1}',3,'2026-11-22T10:00:00.000000+00:00');
CREATE TABLE samples (
	trial_id INTEGER NOT NULL,
	metric TEXT NOT NULL,
	step BIGINT NOT NULL,
	value ,
	CONSTRAINT pk_samples PRIMARY KEY (trial_id, metric, step),
	CONSTRAINT fk_samples_trial_id FOREIGN KEY(trial_id) REFERENCES trials (id)
)
 WITHOUT ROWID

;
INSERT INTO "samples" VALUES(1,'loss',0,1.0);
INSERT INTO "samples" VALUES(2,'loss',0,9e999);
INSERT INTO "samples" VALUES(2,'loss',1,20.5);
INSERT INTO "samples" VALUES(2,'loss',2,NULL);
INSERT INTO "samples" VALUES(2,'loss',3,-0.0);
CREATE TABLE sessions (
	id INTEGER NOT NULL,
	run_id TEXT NOT NULL,
	started_at TEXT NOT NULL,
	ended_at TEXT,
	host TEXT NOT NULL,
	pid INTEGER NOT NULL,
	provenance TEXT NOT NULL,
	CONSTRAINT pk_sessions PRIMARY KEY (id),
	CONSTRAINT fk_sessions_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "sessions" VALUES(1,'69b88b0af2eb-1','2026-11-22T10:00:01.000000+00:00','2026-11-22T10:00:05.000000+00:00','bench',4242,'{"order_seed":7}');
CREATE TABLE telemetry (
	id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	source TEXT NOT NULL,
	t_seconds DOUBLE NOT NULL,
	rss_bytes BIGINT NOT NULL,
	cpu_percent DOUBLE,
	threads INTEGER NOT NULL,
	load DOUBLE NOT NULL,
	swap_in_bytes BIGINT NOT NULL,
	swap_out_bytes BIGINT NOT NULL,
	cpu_mhz DOUBLE,
	gpu_memory_bytes BIGINT,
	gpu_utilisation DOUBLE,
	gpu_process_bytes BIGINT,
	gpu_temperature_c INTEGER,
	gpu_sm_clock_mhz INTEGER,
	gpu_throttling TEXT,
	CONSTRAINT pk_telemetry PRIMARY KEY (id),
	CONSTRAINT fk_telemetry_trial_id FOREIGN KEY(trial_id) REFERENCES trials (id)
);
INSERT INTO "telemetry" VALUES(1,2,'psutil+nvml',0.1,3000000000,99.5,2,0.5,0,0,2400.0,1073741824,0.5,536870912,61,1980,'["power"]');
CREATE TABLE trials (
	id INTEGER NOT NULL,
	run_id TEXT NOT NULL,
	session_id INTEGER NOT NULL,
	spec_id TEXT NOT NULL,
	purpose TEXT NOT NULL,
	task TEXT NOT NULL,
	arm TEXT NOT NULL,
	condition TEXT NOT NULL,
	seed BIGINT NOT NULL,
	round INTEGER NOT NULL,
	position INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	status TEXT NOT NULL,
	started_at TEXT NOT NULL,
	seconds DOUBLE,
	spec_json TEXT NOT NULL,
	outputs TEXT NOT NULL,
	spent TEXT NOT NULL,
	notes TEXT NOT NULL,
	error TEXT,
	traceback TEXT,
	nvml_reason TEXT,
	CONSTRAINT pk_trials PRIMARY KEY (id),
	CONSTRAINT fk_trials_run_id FOREIGN KEY(run_id) REFERENCES runs (id),
	CONSTRAINT fk_trials_session_id FOREIGN KEY(session_id) REFERENCES sessions (id),
	CONSTRAINT ck_trials_status CHECK (status IN ('running', 'finished', 'failed', 'superseded'))
);
INSERT INTO "trials" VALUES(1,'69b88b0af2eb-1',1,'cc3ce04bc7cb9338','measure','generate','dynamic','{"new_tokens":"16"}',0,1,0,1,'superseded','2026-11-22T10:00:02.000000+00:00',1.0,'{"purpose":"measure","task":"generate","arm":"dynamic","condition":{"new_tokens":"16"},"seed":0,"round":1,"config":{"cache":{"kind":"dynamic"}}}','{}','{}','{}',NULL,NULL,NULL);
INSERT INTO "trials" VALUES(2,'69b88b0af2eb-1',1,'cc3ce04bc7cb9338','measure','generate','dynamic','{"new_tokens":"16"}',0,1,1,2,'finished','2026-11-22T10:00:03.000000+00:00',1.5,'{"purpose":"measure","task":"generate","arm":"dynamic","condition":{"new_tokens":"16"},"seed":0,"round":1,"config":{"cache":{"kind":"dynamic"}}}','{"tokens":"ab12"}','{"tokens":64.0}','{"warm":true}',NULL,NULL,NULL);
INSERT INTO "trials" VALUES(3,'69b88b0af2eb-1',1,'41df12ca39ae5462','measure','generate','static','{"new_tokens":"16"}',0,1,2,1,'failed','2026-11-22T10:00:04.000000+00:00',0.5,'{"purpose":"measure","task":"generate","arm":"static","condition":{"new_tokens":"16"},"seed":0,"round":1,"config":{"cache":{"kind":"static"}}}','{}','{}','{}','out of memory','Traceback …
','no driver');
CREATE INDEX ix_runs_study ON runs (study);
CREATE INDEX ix_sessions_run_id ON sessions (run_id);
CREATE INDEX ix_trials_run_id ON trials (run_id);
CREATE UNIQUE INDEX ux_trials_counted_once ON trials (run_id, (CASE WHEN status IN ('running', 'finished') THEN spec_id END));
CREATE INDEX ix_checks_trial_id ON checks (trial_id);
CREATE INDEX ix_telemetry_trial_id ON telemetry (trial_id);
COMMIT;
