package firesteel.classification

import java.nio.file.Files

import firesteel.data.LocalSpark
import firesteel.summary.{TaskSummary, TrainingSummary, WorkerSummary}
import org.apache.spark.sql.functions.{col, sum}
import org.apache.spark.sql.{DataFrame, Encoders}
import org.scalatest.funsuite.AnyFunSuite

/** The summary of a model's training, as values and as DataFrames. */
final class TrainingSummarySuite extends AnyFunSuite with LocalSpark {
  private lazy val model = {
    val data = Blobs.frame(spark).withColumn("isVal", col("id") % 5 === 4)
    Blobs
      .classifier()
      .setEpochs(3)
      .setNumWorkers(3)
      .setCompression("int8")
      .setStrategy("adag")
      .setValidationIndicatorCol("isVal")
      .fit(data)
  }

  private def summary = model.summary

  test("the history has a row for each epoch, and that of the workers one for each of theirs") {
    val history = summary.history
    assert(
      history.columns === Array(
        "epoch",
        "loss",
        "rows",
        "learningRate",
        "validationLoss",
        "validationRows",
        "metrics"
      )
    )
    val rows = history.orderBy("epoch").collect()
    assert(rows.map(_.getAs[Int]("epoch")) === Array(0, 1, 2))
    assert(rows.map(_.getAs[Double]("loss")).toSeq === summary.losses)
    assert(rows.forall(_.getAs[Long]("rows") == 192))
    val accuracies = rows.map(_.getAs[Map[String, Double]]("metrics")("accuracy"))
    assert(accuracies.toSeq === summary.validationMetric("accuracy"))

    val byWorker = summary.workerHistory
    assert(byWorker.columns === Array("partition", "index") ++ history.columns)
    assert(byWorker.count() === 9)
    val sums = byWorker.groupBy("epoch").agg(sum("rows"), sum("validationRows")).collect()
    assert(sums.forall(row => row.getLong(1) == 192 && row.getLong(2) == 48))
    assert(byWorker.filter("loss is null or learningRate is null").isEmpty)
  }

  test("workers tell what they exchanged, and tasks where their time went") {
    assert(summary.byWorker.map(_.rows).sum === summary.rowsTrained)
    assert(summary.byWorker.map(_.commits).sum === summary.commits)
    assert(summary.byWorker.forall(worker => worker.applySeconds > 0 && worker.waitSeconds >= 0))
    assert(summary.byTask.map(_.workers).sum === 3)
    assert(summary.tasks === summary.byTask.size)
    for (task <- summary.byTask) {
      val parts =
        task.computeSeconds + task.gatherSeconds + task.evaluateSeconds + task.waitSeconds
      assert(task.computeSeconds > 0 && task.evaluateSeconds > 0 && task.waitSeconds > 0)
      assert(parts <= task.seconds && task.seconds <= summary.seconds)
    }
  }

  test("the totals of workers and of tasks are DataFrames of their values") {
    assert(
      summary.workerTotals.as(Encoders.product[WorkerSummary]).collect().toSeq === summary.byWorker
    )
    assert(summary.taskTotals.as(Encoders.product[TaskSummary]).collect().toSeq === summary.byTask)
  }

  test("the totals of the fit are one row of its values") {
    val totals = summary.fitTotals.collect()
    assert(totals.length === 1)
    assert(
      totals.head.getValuesMap[Any](totals.head.schema.fieldNames.toSeq) === Map(
        "seconds" -> summary.seconds,
        "rowsTrained" -> summary.rowsTrained,
        "rowsPerSecond" -> summary.rowsPerSecond,
        "workers" -> summary.workers,
        "tasks" -> summary.tasks,
        "commits" -> summary.commits,
        "bytes" -> summary.bytes,
        "stalenessMean" -> summary.stalenessMean,
        "stalenessMax" -> summary.stalenessMax,
        "compressionRatio" -> summary.compressionRatio,
        "compressionError" -> summary.compressionError,
        "bestEpoch" -> summary.bestEpoch.orNull[Any],
        "stopped" -> summary.stopped.orNull
      )
    )
    val stopped = summary.copy(bestEpoch = Some(2), stopped = Some("patience")).fitTotals.head()
    assert(stopped.getAs[Int]("bestEpoch") === 2 && stopped.getAs[String]("stopped") === "patience")
  }

  test("the staleness of commits is a DataFrame with a row for each entry of its histogram") {
    val counts = summary.stalenessCounts
    assert(counts.columns === Array("staleness", "commits"))
    val rows = counts.orderBy("staleness").collect().map(row => (row.getInt(0), row.getLong(1)))
    assert(rows.toSeq === summary.stalenessHistogram.zipWithIndex.map(_.swap))
    assert(rows.map(_._2).sum === summary.commits && rows.length === summary.stalenessMax + 1)
  }

  test("the ratio and the error of a compression are told, of all and of each worker") {
    assert(summary.compressionRatio > 2 && summary.compressionRatio < 4)
    assert(summary.compressionError > 0 && summary.compressionError < 0.1)
    assert(summary.byWorker.forall(_.compressionRatio == summary.compressionRatio))
    assert(summary.byWorker.forall(_.compressionError > 0))
  }

  test("all of it is saved with the model") {
    val path = Files.createTempDirectory("firesteel").resolve("model").toString
    model.write.save(path)
    val loaded = NetworkClassificationModel.load(path)
    assert(loaded.summary === summary)
    val frames = Seq[TrainingSummary => DataFrame](
      _.history,
      _.workerHistory,
      _.workerTotals,
      _.taskTotals,
      _.fitTotals,
      _.stalenessCounts
    )
    frames.foreach(of => assert(of(loaded.summary).collect() === of(summary).collect()))
  }
}
