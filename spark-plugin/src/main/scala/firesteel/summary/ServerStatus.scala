package firesteel.summary

import org.json4s.DefaultFormats
import org.json4s.jackson.JsonMethods.parse

/** What the parameter server knows of a running fit; the fields are those of the server's JSON. */
private[firesteel] final case class ServerStatus(
    port: Int,
    version: Long,
    commits: Long,
    pulls: Long,
    bytes: Long,
    workers: Seq[WorkerStatus],
    epochs: Seq[EpochStatus],
    rowsTrained: Long,
    recentLoss: Option[Double],
    warnings: Seq[String],
    failure: Option[FailureStatus],
    resumed: Option[ResumedStatus] = None,
    stopped: Option[String] = None,
    bestEpoch: Option[Int] = None
) {

  /** Whether all of so many workers have trained everything. */
  def isFinished(of: Int): Boolean = workers.count(_.state == "finished") == of
}

/** Where an interrupted fit had got to that this one goes on from: an epoch counted from 0, and how long it had run. */
private[firesteel] final case class ResumedStatus(epoch: Int, millis: Long)

private[firesteel] final case class WorkerStatus(
    partition: Int,
    index: Int,
    state: String,
    epoch: Int,
    batch: Int,
    batches: Int,
    rows: Long,
    commits: Long,
    stalenessSum: Long,
    stalenessMax: Long,
    bytes: Long,
    waitSeconds: Double,
    applySeconds: Double,
    compressionRatio: Double,
    compressionError: Double
)

private[firesteel] final case class EpochStatus(
    epoch: Int,
    loss: Option[Double],
    rows: Long,
    finishedWorkers: Int,
    learningRate: Option[Double] = None,
    validation: Option[ValidationSummary] = None
)

private[firesteel] final case class FailureStatus(code: Int, message: String)

/** What the server keeps for the end of a fit. */
private[firesteel] final case class ServerSummary(
    stalenessHistogram: Seq[Long],
    ledger: Seq[LedgerEntry],
    compressionRatio: Double,
    compressionError: Double,
    evaluations: Seq[ValidationSummary] = Nil
)

/** What a task's workers say at their end; the fields are those of the worker's JSON. */
private[firesteel] final case class TaskReport(
    partition: Int,
    attempt: Long,
    workers: Seq[MemberReport],
    seconds: Map[String, Double],
    learning: Option[LearningReport] = None
)

private[firesteel] final case class MemberReport(index: Int, rows: Long)

/** Whether a task's workers learnt: parameters by name, and what a sample of their rows shows. */
private[firesteel] final case class LearningReport(
    unreached: Seq[String],
    withoutGradient: Seq[String],
    sample: Option[SampleReport]
)

private[firesteel] final case class SampleReport(
    rows: Int,
    loss: Option[Double],
    shuffledLoss: Option[Double],
    outputs: Seq[OutputReport],
    dead: Seq[DeadReport]
)

/** The prediction of all rows, where it is the same for all. */
private[firesteel] final case class OutputReport(output: String, constant: Option[String])

private[firesteel] final case class DeadReport(layer: String, dead: Long, units: Long)

private[firesteel] object ServerStatus {
  private implicit val formats: DefaultFormats.type = DefaultFormats

  def parseStatus(json: String): ServerStatus = parse(json).extract[ServerStatus]

  def parseReport(json: String): TaskReport = parse(json).extract[TaskReport]

  def parseSummary(json: String): ServerSummary = parse(json).extract[ServerSummary]
}
