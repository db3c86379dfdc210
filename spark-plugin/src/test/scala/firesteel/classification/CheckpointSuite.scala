package firesteel.classification

import java.nio.file.{Files, Path}

import scala.concurrent.ExecutionContext.Implicits.global
import scala.concurrent.duration.DurationInt
import scala.concurrent.{Await, Future}
import scala.jdk.CollectionConverters._

import firesteel.bridge.{CheckpointException, InvalidDataException}
import firesteel.data.LocalSpark
import firesteel.network.{Linear, Network, Tanh}
import org.apache.spark.SparkException
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.tuning.{CrossValidator, ParamGridBuilder}
import org.apache.spark.mllib.util.MLUtils
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.{col, floor, udf}
import org.scalatest.concurrent.Eventually
import org.scalatest.funsuite.AnyFunSuite
import org.scalatest.time.{Seconds, Span}

/** Fits that are interrupted, and the same fits again. */
final class CheckpointSuite extends AnyFunSuite with LocalSpark with Eventually {
  override implicit val patienceConfig: PatienceConfig = PatienceConfig(Span(60, Seconds))

  private lazy val data: DataFrame = Blobs.frame(spark)
  private lazy val rows: Long = data.count()

  /** The rows with a fold for each, all of one size and with the same rows of each class. */
  private lazy val folded: DataFrame =
    data.withColumn("fold", (floor(col("id") / 3) % Folds).cast("int")).cache()

  private def folder(): Path = Files.createTempDirectory("firesteel")

  private def files(folder: Path, suffix: String): Seq[Path] = {
    val entries = Files.walk(folder)
    try entries.iterator().asScala.filter(_.getFileName.toString.endsWith(suffix)).toSeq
    finally entries.close()
  }

  private def checkpoints(folder: Path): Seq[Path] =
    files(folder, ".bin").filterNot(_.getFileName.toString.startsWith("."))

  /** A classifier with checkpoints as often as possible. */
  private def classifier(folder: Path, epochs: Int): NetworkClassifier =
    Blobs
      .slowClassifier()
      .setEpochs(epochs)
      .setCheckpointDir(folder.toString)
      .setCheckpointSeconds(3600)
      .setCheckpointCommits(1)

  /** Cancels a fit once it has left its second checkpoint. */
  private def interrupt(classifier: NetworkClassifier, folder: Path, df: DataFrame): Unit =
    interrupt(folder, fits = 1)(classifier.fit(df))

  /** Cancels a job of this many fits after each has written its second checkpoint. */
  private def interrupt(folder: Path, fits: Int)(fitted: => Any): Unit = {
    val context = spark.sparkContext
    val others = checkpoints(folder).map(_.getParent).toSet
    val fit = Future {
      context.setJobGroup("interrupted", "a fit", interruptOnCancel = false)
      try intercept[SparkException](fitted)
      finally context.clearJobGroup()
    }
    eventually {
      val own = checkpoints(folder).filterNot(file => others(file.getParent))
      assert(own.count(_.getFileName.toString > "checkpoint-000002") >= fits)
    }
    context.cancelJobGroup("interrupted")
    Await.result(fit, 30.seconds)
    ()
  }

  private val Epochs = 1500
  private val Folds = 4
  private val Endless = 10000000

  private lazy val interrupted: Path = {
    val path = folder()
    interrupt(classifier(path, Epochs), path, data)
    path
  }

  /** A copy of the folder of an interrupted fit. */
  private def left(): Path = {
    val copy = folder().resolve("copy")
    new ProcessBuilder("cp", "-r", interrupted.toString, copy.toString).start().waitFor()
    copy
  }

  test("a fit that was cancelled goes on where it was, trains every row once, and leaves nothing") {
    val path = left()
    assert(checkpoints(path).size === 1)
    assert(files(path, "lock").isEmpty, "given back")
    val model = classifier(path, Epochs).fit(data)
    val summary = model.summary
    assert(Blobs.accuracy(model.transform(data)) > 0.95)
    assert(summary.epochs.map(_.rows) === Seq.fill(Epochs)(rows))
    assert(summary.rowsTrained === Epochs * rows)
    val attempts = summary.ledger.flatMap(_.spans).map(_.attempt)
    assert(attempts.count(_ == -1) > 0, "what the first had trained is not trained again")
    assert(attempts.count(_ >= 0) > 0)
    summary.ledger.foreach { entry =>
      assert(entry.supersededRows === 0)
      assert(entry.spans.map(_.start) === entry.spans.scanLeft(0)(_ + _.batches).init)
    }
    val told = summary.warnings.filter(_.contains("resumed in epoch"))
    assert(told.size === 1, summary.warnings)
    assert(told.head.contains(s"of $Epochs from a checkpoint after"))
    assert(Files.list(path).count() === 0, "removed on success")
  }

  test("a search that was cancelled goes on where each of its candidates was") {
    val path = folder()
    val search = classifier(path, Epochs)
    val maps = Seq(0.01, 0.02).map(rate => ParamMap(search.learningRate -> rate))
    interrupt(path, fits = 2)(search.fit(data, maps))
    assert(checkpoints(path).map(_.getParent).distinct.size === 2)
    search.fit(data, maps).foreach { model =>
      assert(model.summary.rowsTrained === Epochs * rows)
      assert(model.summary.ledger.flatMap(_.spans).exists(_.attempt == -1))
    }
    assert(Files.list(path).count() === 0, "removed on success")
  }

  test("a fit that is not interrupted leaves nothing and resumes nothing") {
    val path = folder()
    val model = classifier(path, 4).fit(data)
    assert(model.summary.warnings.isEmpty)
    assert(Files.list(path).count() === 0)
    assert(Blobs.classifier().setEpochs(4).fit(data).summary.rowsTrained === 4 * rows)
  }

  private def resumes(classifier: NetworkClassifier, df: DataFrame): Boolean =
    classifier.fit(df).summary.warnings.exists(_.contains("resumed"))

  private def opposite(df: DataFrame): DataFrame = {
    val negated = udf((v: Vector) => Vectors.dense(v.toArray.map(-_)))
    df.withColumn("features", negated(col("features")))
  }

  test("a fit of other epochs does not resume it") {
    val path = left()
    assert(!resumes(classifier(path, 2), data))
    assert(checkpoints(path).size === 1)
  }

  private def keeps(difference: String)(change: NetworkClassifier => NetworkClassifier)(
      rows: => DataFrame
  ): Unit =
    test(s"a fit $difference, and otherwise the same, does not resume it, and it goes on") {
      val path = left()
      assert(!resumes(change(classifier(path, Epochs)), rows))
      assert(checkpoints(path).size === 1, "that of the first one is still there")
      assert(resumes(classifier(path, Epochs), data))
    }

  keeps("over other data of the same size")(identity)(opposite(data))
  keeps("of another seed")(_.setSeed(8))(data)
  keeps("of another network")(_.setNetwork(Network.sequential(Linear(192), Tanh, Linear(3))))(data)

  test("the same rows in another order and in other partitions are the same data") {
    val path = left()
    val again = data.orderBy(col("id").desc).repartition(2)
    val summary = classifier(path, Epochs).fit(again).summary
    assert(summary.warnings.exists(_.contains("resumed in epoch")), summary.warnings)
    assert(summary.epochs.map(_.rows).distinct === Seq(rows))
  }

  test("a second writer is refused by the name of the lock, and the first goes on") {
    val path = folder()
    val context = spark.sparkContext
    // One slot is left for the second one's look at the data.
    def endless: NetworkClassifier = classifier(path, Endless).setNumWorkers(1)
    val first = Future {
      context.setJobGroup("first", "a fit", interruptOnCancel = false)
      try intercept[SparkException](endless.fit(data))
      finally context.clearJobGroup()
    }
    eventually(assert(checkpoints(path).nonEmpty))
    val error = intercept[CheckpointException](endless.fit(data))
    assert(error.getMessage.contains("lock"), error.getMessage)
    assert(!first.isCompleted)
    context.cancelJobGroup("first")
    Await.result(first, 30.seconds)
  }

  private def refused(path: Path, texts: String*): Unit = {
    val error = intercept[CheckpointException](classifier(path, Epochs).fit(data))
    texts.foreach(text => assert(error.getMessage.contains(text), error.getMessage))
    assert(files(path, "lock").isEmpty)
    ()
  }

  private def rewrite(path: Path)(change: Array[Byte] => Array[Byte]): String = {
    val file = checkpoints(path).last
    // Hadoop's checksums would notice first.
    Files.deleteIfExists(file.resolveSibling(s".${file.getFileName}.crc"))
    Files.write(file, change(Files.readAllBytes(file)))
    file.toString
  }

  test("a damaged checkpoint is refused by the name of its file") {
    val cut = left()
    refused(cut, rewrite(cut)(bytes => bytes.take(bytes.length / 2)), "checksum")
    val flipped = left()
    val name = rewrite(flipped) { bytes =>
      bytes(bytes.length - 50) = (bytes(bytes.length - 50) ^ 1).toByte
      bytes
    }
    refused(flipped, name, "checksum", "delete it")
    val foreign = left()
    refused(
      foreign,
      rewrite(foreign)(_ => "the weights of another program".getBytes),
      "not a Firesteel checkpoint"
    )
    val unread = left()
    val file = checkpoints(unread).last
    Files.write(file, Array[Byte](1, 2, 3))
    refused(unread, file.toString, "is not readable")
  }

  test("a checkpoint of another fit in the folder of this one is refused by the name of its file") {
    val path = left()
    val others = folder()
    interrupt(classifier(others, Endless).setSeed(9), others, data)
    val stranger = Files.readAllBytes(checkpoints(others).last)
    refused(path, rewrite(path)(_ => stranger), "to another fit", others.toFile.list().head)
  }

  test(
    "data that cannot be trained on is refused before anything is trained, and nothing is left"
  ) {
    val path = folder()
    val nulls = data.withColumn("label", col("label") - 1)
    val error = intercept[InvalidDataException](classifier(path, 2).fit(nulls))
    assert(error.getMessage.contains("label"), error.getMessage)
    assert(Files.list(path).count() === 0)
  }

  test("shards and checkpoints together are refused before any job") {
    val path = folder()
    val wide = Network.sequential(Linear(10000), Linear(3))
    val error = intercept[IllegalArgumentException](
      classifier(path, 2).setNetwork(wide).setServerShards(2).fit(data)
    )
    assert(error.getMessage.contains("serverShards is 2"), error.getMessage)
    assert(Files.list(path).count() === 0)
  }

  test("a folder that cannot be made fails the fit with its name") {
    val file = Files.createTempFile("firesteel", "")
    val error = intercept[java.io.IOException](classifier(file, 2).fit(data))
    assert(error.getMessage.contains(file.toString), error.getMessage)
  }

  test("a folder that vanishes in the middle of a fit costs warnings, and no model") {
    val path = folder()
    val warnings = LoggedWarnings.of("firesteel.checkpoint.Checkpoints") { heard =>
      val fit = Future(classifier(path, Epochs).fit(data))
      eventually(assert(checkpoints(path).nonEmpty))
      eventually {
        if (Files.isDirectory(path)) Files.move(path, folder().resolve("away"))
        Files.write(path, Array[Byte](0))
      }
      assert(Await.result(fit, 60.seconds).summary.epochs.size === Epochs)
      assert(heard().nonEmpty)
    }
    assert(warnings.forall(_.contains("the fit continues")))
  }

  test(
    "a fit over another fold of the same size does not resume that of the first, which goes on"
  ) {
    val path = folder()
    val folds = MLUtils.kFold(folded, Folds, "fold").map { case (training, _) =>
      spark.createDataFrame(training, data.schema)
    }
    assert(folds.map(_.count()).distinct.length === 1)
    // One worker trains faster than two that wait for each other, and must not end before it is interrupted.
    def estimator: NetworkClassifier = classifier(path, 2 * Epochs).setNumWorkers(1)
    interrupt(estimator, path, folds(0))
    assert(!resumes(estimator, folds(1)))
    assert(checkpoints(path).size === 1, "that of the first one is still there")
    assert(resumes(estimator, folds(0)))
  }

  test("the fits of a CrossValidator in parallel do not resume each other") {
    val path = folder()
    val estimator = classifier(path, 8).setNumWorkers(1)
    val validator = new CrossValidator()
      .setEstimator(estimator)
      .setEstimatorParamMaps(
        new ParamGridBuilder().addGrid(estimator.learningRate, Array(1e-6, 0.02)).build()
      )
      .setEvaluator(new MulticlassClassificationEvaluator().setMetricName("accuracy"))
      .setNumFolds(Folds)
      .setFoldCol("fold")
      .setParallelism(2)
      .setCollectSubModels(true)
    val model = validator.fit(folded)
    assert(model.avgMetrics(1) > 0.9 && model.avgMetrics(0) < 0.8, model.avgMetrics.toSeq)
    val summaries = (model.bestModel +: model.subModels.toSeq.flatten).collect {
      case fitted: NetworkClassificationModel => fitted.summary
    }
    assert(summaries.size === 1 + 2 * Folds)
    summaries.foreach(summary => assert(!summary.warnings.exists(_.contains("resumed"))))
    assert(Files.list(path).count() === 0)
  }
}
