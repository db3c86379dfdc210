package firesteel.params

import org.apache.spark.ml.param.{DoubleParam, LongParam, Param, Params}

/** Whether a fit goes on where it was after its driver has died. docs/checkpoints.md tells what is kept. */
private[firesteel] trait CheckpointParams extends Params {

  /** The folder, of any file system that Spark reads, for checkpoints of the fits of this application. Each fit has a
    * subfolder of its own, named by its settings and data; it is removed when the fit succeeds. A fit of the same
    * settings and data that finds one goes on from it. Default: none, and no checkpoints are written.
    */
  final val checkpointDir: Param[String] = new Param[String](
    this,
    "checkpointDir",
    "a folder for checkpoints, from which the same fit goes on when its driver has died; unless set, there are none",
    Validators.notEmpty("checkpointDir")
  )

  /** The seconds between two checkpoints. Default: 60. */
  final val checkpointSeconds: DoubleParam = new DoubleParam(
    this,
    "checkpointSeconds",
    "the seconds between two checkpoints (> 0)",
    Validators.positive("checkpointSeconds")
  )

  /** After how many updates of the parameter server a checkpoint is written even before its time. Default: not set. */
  final val checkpointCommits: LongParam = new LongParam(
    this,
    "checkpointCommits",
    "after how many updates of the parameter server a checkpoint is written even before its time (>= 1)",
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
