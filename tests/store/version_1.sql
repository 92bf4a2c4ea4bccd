-- A database as version 1 of the tables wrote it, dumped by sqlite3, infinity and −0.0 mended by hand. Frozen: later versions must open it.
BEGIN TRANSACTION;
CREATE TABLE artifacts (
	kind TEXT NOT NULL,
	content_id TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	path TEXT NOT NULL,
	attempt_id INTEGER,
	run_id TEXT,
	made_at TEXT NOT NULL,
	CONSTRAINT pk_artifacts PRIMARY KEY (kind, content_id),
	CONSTRAINT fk_artifacts_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id),
	CONSTRAINT fk_artifacts_run_id FOREIGN KEY(run_id) REFERENCES runs (id),
	CONSTRAINT ck_artifacts_kind CHECK (kind IN ('checkpoint', 'report')),
	CONSTRAINT ck_artifacts_maker CHECK ((attempt_id IS NULL) <> (run_id IS NULL))
);
INSERT INTO "artifacts" VALUES('checkpoint','abc','11','checkpoints/abc.safetensors',2,NULL,'2026-11-22T10:00:06.000000+00:00');
INSERT INTO "artifacts" VALUES('report','def','22','kv_cache.html',NULL,'69b88b0af2eb-1','2026-11-22T10:00:07.000000+00:00');
CREATE TABLE attempts (
	id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	session_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	position INTEGER NOT NULL,
	state TEXT NOT NULL,
	superseded_state TEXT,
	started_at TEXT NOT NULL,
	seconds DOUBLE,
	outputs TEXT NOT NULL,
	spent TEXT NOT NULL,
	notes TEXT NOT NULL,
	error TEXT,
	traceback TEXT,
	nvml_reason TEXT,
	CONSTRAINT pk_attempts PRIMARY KEY (id),
	CONSTRAINT uq_attempts_trial_id UNIQUE (trial_id, number),
	CONSTRAINT fk_attempts_trial_id FOREIGN KEY(trial_id) REFERENCES trials (id),
	CONSTRAINT fk_attempts_session_id FOREIGN KEY(session_id) REFERENCES sessions (id),
	CONSTRAINT ck_attempts_state CHECK (state IN ('running', 'finished', 'diverged', 'failed', 'lost', 'interrupted', 'superseded')),
	CONSTRAINT ck_attempts_superseded_state CHECK ((state = 'superseded') = (superseded_state IS NOT NULL))
);
INSERT INTO "attempts" VALUES(1,1,1,1,0,'superseded','finished','2026-11-22T10:00:02.000000+00:00',1.0,'{}','{}','{}',NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(2,1,1,2,1,'finished',NULL,'2026-11-22T10:00:03.000000+00:00',1.5,'{"tokens":"ab12"}','{"tokens":64.0}','{"warm":true}',NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(3,2,1,1,2,'failed',NULL,'2026-11-22T10:00:04.000000+00:00',0.5,'{}','{}','{}','out of memory','Traceback …
','no driver');
INSERT INTO "attempts" VALUES(4,3,1,1,3,'diverged',NULL,'2026-11-22T10:00:05.000000+00:00',0.25,'{}','{}','{"diverged":true}',NULL,NULL,NULL);
CREATE TABLE checks (
	id INTEGER NOT NULL,
	attempt_id INTEGER NOT NULL,
	"case" TEXT NOT NULL,
	precision TEXT NOT NULL,
	passed BOOLEAN NOT NULL,
	deviation ,
	tolerance ,
	compared BIGINT NOT NULL,
	skipped BIGINT NOT NULL,
	detail TEXT NOT NULL,
	CONSTRAINT pk_checks PRIMARY KEY (id),
	CONSTRAINT fk_checks_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id)
);
INSERT INTO "checks" VALUES(1,2,'batch 2','float64',1,3.0e-16,1.0e-10,64,0,'');
CREATE TABLE environments (
	digest TEXT NOT NULL,
	facts TEXT NOT NULL,
	CONSTRAINT pk_environments PRIMARY KEY (digest)
);
INSERT INTO "environments" VALUES('5eacd1846c42bf82','{"cpu":"EPYC","threads":1}');
CREATE TABLE harness_alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT harness_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "harness_alembic_version" VALUES('0001');
CREATE TABLE runs (
	id TEXT NOT NULL,
	identity_digest TEXT NOT NULL,
	ordinal INTEGER NOT NULL,
	scale TEXT NOT NULL,
	study_digest TEXT NOT NULL,
	code_digest TEXT NOT NULL,
	environment_digest TEXT NOT NULL,
	plant TEXT,
	study_row TEXT NOT NULL,
	environment_row TEXT NOT NULL,
	created_at TEXT NOT NULL,
	CONSTRAINT pk_runs PRIMARY KEY (id),
	CONSTRAINT uq_runs_identity_digest UNIQUE (identity_digest, ordinal),
	CONSTRAINT fk_runs_study_row FOREIGN KEY(study_row) REFERENCES studies (digest),
	CONSTRAINT fk_runs_environment_row FOREIGN KEY(environment_row) REFERENCES environments (digest)
);
INSERT INTO "runs" VALUES('69b88b0af2eb-1','69b88b0af2eb',1,'cpu','5747d7','c0de','e0e0',NULL,'bf7d6ea236f97b03','5eacd1846c42bf82','2026-11-22T10:00:00.000000+00:00');
CREATE TABLE samples (
	attempt_id INTEGER NOT NULL,
	metric TEXT NOT NULL,
	step BIGINT NOT NULL,
	value ,
	CONSTRAINT pk_samples PRIMARY KEY (attempt_id, metric, step),
	CONSTRAINT fk_samples_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id)
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
INSERT INTO "sessions" VALUES(1,'69b88b0af2eb-1','2026-11-22T10:00:01.000000+00:00','2026-11-22T10:00:08.000000+00:00','bench',4242,'{"order_seed":7}');
CREATE TABLE studies (
	digest TEXT NOT NULL,
	name TEXT NOT NULL,
	source TEXT NOT NULL,
	resolved TEXT NOT NULL,
	CONSTRAINT pk_studies PRIMARY KEY (digest)
);
INSERT INTO "studies" VALUES('bf7d6ea236f97b03','kv_cache','study: kv_cache
','{"study":"kv_cache"}');
CREATE TABLE telemetry (
	id INTEGER NOT NULL,
	attempt_id INTEGER NOT NULL,
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
	CONSTRAINT fk_telemetry_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id)
);
INSERT INTO "telemetry" VALUES(1,2,'psutil+nvml',0.1,3000000000,99.5,2,0.5,0,0,2400.0,1073741824,0.5,536870912,61,1980,'["power"]');
CREATE TABLE trials (
	id INTEGER NOT NULL,
	run_id TEXT NOT NULL,
	spec_id TEXT NOT NULL,
	purpose TEXT NOT NULL,
	task TEXT NOT NULL,
	arm TEXT NOT NULL,
	condition TEXT NOT NULL,
	seed BIGINT NOT NULL,
	round INTEGER NOT NULL,
	spec_json TEXT NOT NULL,
	CONSTRAINT pk_trials PRIMARY KEY (id),
	CONSTRAINT uq_trials_run_id UNIQUE (run_id, spec_id),
	CONSTRAINT fk_trials_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "trials" VALUES(1,'69b88b0af2eb-1','cc3ce04bc7cb9338','measure','generate','dynamic','{"new_tokens":"16"}',0,1,'{"purpose":"measure","task":"generate","arm":"dynamic","condition":{"new_tokens":"16"},"seed":0,"round":1,"config":{"cache":{"kind":"dynamic"}}}');
INSERT INTO "trials" VALUES(2,'69b88b0af2eb-1','41df12ca39ae5462','measure','generate','static','{"new_tokens":"16"}',0,1,'{"purpose":"measure","task":"generate","arm":"static","condition":{"new_tokens":"16"},"seed":0,"round":1,"config":{"cache":{"kind":"static"}}}');
INSERT INTO "trials" VALUES(3,'69b88b0af2eb-1','dc15dd69e6cc3ea2','measure','generate','doubling','{"new_tokens":"16"}',0,1,'{"purpose":"measure","task":"generate","arm":"doubling","condition":{"new_tokens":"16"},"seed":0,"round":1,"config":{"cache":{"kind":"doubling"}}}');
INSERT INTO "trials" VALUES(4,'69b88b0af2eb-1','d5433bac25b23c52','measure','generate','none','{"new_tokens":"16"}',0,1,'{"purpose":"measure","task":"generate","arm":"none","condition":{"new_tokens":"16"},"seed":0,"round":1,"config":{"cache":{"kind":"none"}}}');
CREATE TABLE verdicts (
	run_id TEXT NOT NULL,
	claim TEXT NOT NULL,
	place INTEGER NOT NULL,
	verdict TEXT NOT NULL,
	effect DOUBLE,
	low DOUBLE,
	high DOUBLE,
	n INTEGER NOT NULL,
	claimed DOUBLE,
	reason TEXT NOT NULL,
	computed_at TEXT NOT NULL,
	code_digest TEXT NOT NULL,
	CONSTRAINT pk_verdicts PRIMARY KEY (run_id, claim),
	CONSTRAINT fk_verdicts_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "verdicts" VALUES('69b88b0af2eb-1','kv-speedup',0,'confirmed',2.5,2.25,2.75,10,2.33,'Inside.','2026-11-22T10:00:09.000000+00:00','c0de');
INSERT INTO "verdicts" VALUES('69b88b0af2eb-1','kv-same',1,'undecided',NULL,NULL,NULL,0,NULL,'Nothing was compared.','2026-11-22T10:00:10.000000+00:00','c0de');
CREATE INDEX ix_studies_name ON studies (name);
CREATE INDEX ix_runs_study_row ON runs (study_row);
CREATE INDEX ix_sessions_run_id ON sessions (run_id);
CREATE UNIQUE INDEX ux_attempts_counted_once ON attempts ((CASE WHEN state IN ('running', 'finished', 'diverged') THEN trial_id END));
CREATE INDEX ix_checks_attempt_id ON checks (attempt_id);
CREATE INDEX ix_telemetry_attempt_id ON telemetry (attempt_id);
COMMIT;
