package firesteel.classification

import java.nio.file.Files

import firesteel.bridge.InvalidSpecException
import firesteel.data.LocalSpark
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.col
import org.scalatest.funsuite.AnyFunSuite

/** Held-out rows, schedules and early ends through whole fits; their arithmetic is tested natively. */
final class ControlsSuite extends AnyFunSuite with LocalSpark {
  private lazy val data: DataFrame =
    Blobs.frame(spark).withColumn("isVal", col("id") % 5 === 4).cache()

  private def classifier(strategy: String): NetworkClassifier =
    Blobs.classifier().setStrategy(strategy).setValidationIndicatorCol("isVal")

  private def single: NetworkClassifier = {
    val estimator = classifier("single").setNumWorkers(1)
    estimator.clear(estimator.window)
    estimator
  }

  for (strategy <- Seq("adag", "averaging"))
    test(s"$strategy scores the rows that a column marks after each epoch and trains the others") {
      val estimator = classifier(strategy)
      if (strategy == "averaging") estimator.clear(estimator.window)
      val summary = estimator.fit(data).summary
      assert(summary.epochs.size === 8)
      assert(summary.epochs.forall(_.rows == 192))
      assert(summary.epochs.forall(_.validation.exists(_.rows == 48)))
      assert(summary.validationLosses.size === 8)
      assert(summary.validationMetric("accuracy").last > 0.9)
      assert(summary.ledger.forall(_.validation.isDefined))
      assert(summary.bestEpoch.isDefined && summary.stopped.isEmpty)
    }

  test("the summary is saved with the model, its matrices included") {
    val metrics = Array("accuracy", "top2", "confusion")
    val model = single.setMetrics(metrics).setEpochs(2).fit(data)
    val path = Files.createTempDirectory("firesteel").resolve("model").toString
    model.write.save(path)
    assert(NetworkClassificationModel.load(path).summary === model.summary)
    val last = model.summary.epochs.last.validation.get
    assert(last.metrics.map(_.name) === metrics.toSeq)
    assert(last.metrics.last.matrix.exists(_.flatten.sum == 48))
  }

  test("a fit of two classes has the area under the curve unless told otherwise") {
    val two = Blobs.frame(spark, classes = 2).withColumn("isVal", col("id") % 5 === 4)
    val summary = Blobs.classifier(outputs = 1).setValidationIndicatorCol("isVal").fit(two).summary
    assert(summary.validationMetric("auc").last > 0.95)
    assert(summary.validationMetric("accuracy").size === 8)
  }

  test("the rows of a share are the same however many workers there are") {
    def rows(workers: Int): Long = {
      val estimator =
        Blobs.classifier().setNumWorkers(workers).setValidationFraction(0.25).setEpochs(1)
      val epoch = estimator.fit(data.drop("isVal")).summary.epochs.head
      assert(epoch.rows + epoch.validation.get.rows === 240)
      epoch.validation.get.rows
    }
    assert(rows(1) === rows(3))
  }

  test("a target ends the training, and the best epoch's model is kept") {
    val summary = classifier("adag").setEpochs(500).setTargetLoss(0.5).fit(data).summary
    assert(summary.stopped.contains("targetLoss"))
    assert(summary.epochs.size < 500)
    val worst = single.setMonitorMode("max").setRestoreBest(true).fit(data)
    assert(worst.summary.bestEpoch.contains(0))
    val accuracy = Blobs.accuracy(worst.transform(data.filter("isVal")))
    assert(math.abs(accuracy - worst.summary.validationMetric("accuracy").head) < 1e-9)
  }

  test("time ends the training with the model so far") {
    val model = classifier("adag").setEpochs(1000000).setMaxSeconds(1).fit(data)
    assert(model.summary.stopped.contains("maxSeconds"))
    assert(model.summary.rowsTrained > 0)
  }

  test("the learning rate of each epoch is that of the schedule") {
    val summary =
      single.setSchedule("exponential").setScheduleGamma(0.5).setEpochs(3).fit(data).summary
    val rates = summary.epochs.flatMap(_.learningRate)
    assert(rates.zip(Seq(0.02, 0.01, 0.005)).forall { case (a, b) => math.abs(a - b) < 1e-12 })
  }

  test("what does not fit is refused before anything is trained") {
    val error = intercept[IllegalArgumentException](
      Blobs.classifier().setValidationIndicatorCol("label").fit(data)
    )
    assert(error.getMessage.contains("'label' has type double; expected boolean"))
    val unknown = intercept[InvalidSpecException](single.setMetrics(Array("auc")).fit(data))
    assert(unknown.getMessage.contains("auc, which needs two classes"), unknown.getMessage)
    val smoothed = intercept[InvalidSpecException](
      Blobs.classifier().setLoss("mse_loss").setLabelSmoothing(0.1).fit(data)
    )
    assert(smoothed.getMessage.contains("labelSmoothing"), smoothed.getMessage)
  }
}
