package firesteel.params

import org.apache.spark.ml.param.{DoubleParam, LongParam, Param, Params}

/** Checkpoints, from which a fit resumes if its driver has died. docs/checkpoints.md describes their content. */
private[firesteel] trait CheckpointParams extends Params {

  /** The folder, of any file system that Spark reads, for checkpoints of the fits of this application. Each fit has its
    * own subfolder, named by its settings and data; it is removed when the fit succeeds. A fit with the same settings
    * and data resumes from an existing one. Default: none, without checkpoints.
    */
  final val checkpointDir: Param[String] = TextParam(
    this,
    "checkpointDir",
    "folder for checkpoints, from which the same fit resumes if its driver has died; unless set, none",
    Validators.notEmpty("checkpointDir")
  )

  /** The seconds between two checkpoints. Default: 60. */
  final val checkpointSeconds: DoubleParam = new DoubleParam(
    this,
    "checkpointSeconds",
    "the seconds between two checkpoints (> 0)",
    Validators.positive("checkpointSeconds")
  )

  /** The number of updates of the parameter server after which a checkpoint is written before `checkpointSeconds` have
    * passed. Default: not set.
    */
  final val checkpointCommits: LongParam = new LongParam(
    this,
    "checkpointCommits",
    "number of updates of the parameter server after which a checkpoint is written before " +
      "checkpointSeconds have passed (>= 1)",
    Validators.atLeast(1L, "checkpointCommits")
  )

  setDefault(checkpointSeconds -> 60.0)

  final def getCheckpointDir: String = $(checkpointDir)
  final def getCheckpointSeconds: Double = $(checkpointSeconds)
  final def getCheckpointCommits: Long = $(checkpointCommits)
}

/** Setters of [[CheckpointParams]], for estimators. */
private[firesteel] trait CheckpointSetters extends CheckpointParams {
  def setCheckpointDir(value: String): this.type = set(checkpointDir, value)
  def setCheckpointSeconds(value: Double): this.type = set(checkpointSeconds, value)
  def setCheckpointCommits(value: Long): this.type = set(checkpointCommits, value)
}
