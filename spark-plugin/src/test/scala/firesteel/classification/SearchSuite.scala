package firesteel.classification

import java.nio.file.Files
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.{CountDownLatch, TimeUnit}

import scala.concurrent.ExecutionContext.Implicits.global
import scala.concurrent.duration.DurationInt
import scala.concurrent.{Await, Future}

import firesteel.bridge.{InvalidDataException, TrainingDivergedException}
import firesteel.data.LocalSpark
import firesteel.network._
import firesteel.regression.NetworkRegressor
import org.apache.spark.{SparkEnv, SparkException}
import org.apache.spark.ml.functions.vector_to_array
import org.apache.spark.ml.{Estimator, Pipeline, PipelineModel}
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.tuning.{CrossValidator, ParamGridBuilder}
import org.apache.spark.scheduler.{SparkListener, SparkListenerJobStart, SparkListenerTaskStart}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.{col, udf}
import org.scalatest.concurrent.Eventually
import org.scalatest.funsuite.AnyFunSuite
import org.scalatest.time.{Seconds, Span}

/** Fits with several maps of parameters, and searches with several fits at once. */
final class SearchSuite extends AnyFunSuite with LocalSpark with Eventually {
  override implicit val patienceConfig: PatienceConfig = PatienceConfig(Span(30, Seconds))

  private lazy val data: DataFrame = Blobs.frame(spark)

  private val Marker = "firesteel.test.marker"

  private val rates = Seq(0.003, 0.01, 0.03)

  private def maps(classifier: NetworkClassifier): Array[ParamMap] =
    new ParamGridBuilder().addGrid(classifier.learningRate, rates).build()

  /** Counts the jobs of a block. */
  private def jobsOf(body: => Any): Int = {
    val started = new AtomicInteger
    val seen = new CountDownLatch(1)
    val listener = new SparkListener {
      override def onJobStart(event: SparkListenerJobStart): Unit =
        if (event.properties.getProperty(Marker) == null) {
          val _ = started.incrementAndGet()
        } else seen.countDown()
    }
    val context = spark.sparkContext
    context.addSparkListener(listener)
    try {
      val _ = body
      // A job whose event comes behind those of all others.
      context.setLocalProperty(Marker, "")
      val _ = context.parallelize(Seq(1), 1).count()
      assert(seen.await(10, TimeUnit.SECONDS))
      started.get
    } finally {
      context.setLocalProperty(Marker, null)
      context.removeSparkListener(listener)
    }
  }

  private def withSetting[R](key: String, value: String)(body: => R): R = {
    val conf = SparkEnv.get.conf
    conf.set(key, value)
    try body
    finally {
      val _ = conf.remove(key)
    }
  }

  test("candidates that train side by side become the models that they are alone, bit by bit") {
    val classifier = Blobs.classifier().setNumWorkers(1)
    val networks = Seq(8, 16).map(units =>
      Network.sequential(Linear(units), ReLU, Dropout(0.2), Linear(3)).toJson
    )
    val grid = new ParamGridBuilder()
      .addGrid(classifier.network, networks)
      .addGrid(classifier.batchSize, Array(16, 24))
      .build()
    val together = classifier.fit(data, grid.toSeq)
    assert(together.size === 4)
    together.zip(grid).foreach { case (model, map) =>
      assert(model.weights.toSeq === classifier.fit(data, map).weights.toSeq, map.toString)
      assert(model.getBatchSize === map(classifier.batchSize))
      assert(model.summary.epochs.size === 8)
    }
    assert(together.map(_.weights.toSeq).distinct.size === 4)
  }

  test("the data is read once for all candidates") {
    val reads = spark.sparkContext.longAccumulator
    val counted = udf { (value: Vector) => reads.add(1); value }.asNondeterministic()
    val source = Blobs.frame(spark).withColumn("features", counted(col("features")))
    val classifier = Blobs.classifier().setEpochs(2)
    classifier.fit(source)
    val once = reads.value
    reads.reset()
    val jobs = jobsOf(classifier.fit(source, maps(classifier).toSeq))
    assert(reads.value === once)
    assert(jobs === jobsOf(classifier.fit(source)))
  }

  test("candidates that do not fit into memory together train in several jobs") {
    val classifier = Blobs.classifier().setEpochs(2).setNumWorkers(1)
    val (at, one) = (maps(classifier).toSeq, jobsOf(classifier.fit(data)))
    withSetting("spark.firesteel.candidates.memory", "1k") {
      val jobs = jobsOf {
        val models = classifier.fit(data, at)
        assert(models.map(_.getLearningRate) === rates)
      }
      assert(jobs === one + 2, "one look at a row, and three jobs")
    }
  }

  test("candidates train in one job only where their rows come to the tasks in the same way") {
    val classifier = Blobs.classifier().setEpochs(2)
    val ways = Seq("auto", "never", "auto")
    val (at, rate) = (classifier.spreadRows, classifier.learningRate)
    val grid = ways.zip(rates).map { case (way, value) => ParamMap(at -> way, rate -> value) }
    val told = classifier.fit(data, grid).map(_.summary.decisions.mkString)
    assert(told.map(_.contains("as spreadRows is never")) === Seq(false, true, false))
  }

  test("candidates that differ only in what is not trained are trained once") {
    val classifier = Blobs.classifier().setEpochs(2)
    val grid = new ParamGridBuilder()
      .addGrid(classifier.thresholds, Seq(Array(0.3, 0.3, 0.4), Array(0.1, 0.1, 0.8)))
      .build()
    val models = classifier.fit(data, grid.toSeq)
    assert(models.head.summary eq models.last.summary)
    assert(models.map(_.getThresholds.head) === Seq(0.3, 0.1))
  }

  test("candidates of every kind of strategy train side by side, every row once an epoch") {
    val classifier = Blobs.classifier()
    val grid = Seq("sync", "diloco", "adag", "single", "ensemble", "averaging").map { name =>
      val map = ParamMap(classifier.strategy -> name)
      if (name == "single") map.put(classifier.numWorkers -> 1) else map
    }
    classifier.clear(classifier.window)
    classifier.fit(data, grid).zip(grid).foreach { case (model, map) =>
      assert(model.getStrategy === map(classifier.strategy))
      val rows = model.summary.ledger.groupMapReduce(_.epoch)(_.rows)(_ + _)
      assert(rows === (0 until 8).map(_ -> data.count()).toMap, model.getStrategy)
    }
  }

  private def diverging: NetworkClassifier =
    Blobs.classifier().setOptimizer("sgd").setLoss("mse_loss")

  private def ratesOf(classifier: NetworkClassifier, rates: Double*): Array[ParamMap] =
    new ParamGridBuilder().addGrid(classifier.learningRate, rates).build()

  test("a candidate that diverges loses and is reported, and the others end") {
    val before = ProcessState.now()
    Seq("adag", "sync").foreach { strategy =>
      val classifier = diverging.setStrategy(strategy)
      if (strategy == "sync") classifier.clear(classifier.window)
      val models = classifier.fit(data, ratesOf(classifier, 1e30, 0.2).toSeq)
      assert(models.map(_.summary.stopped) === Seq(Some("diverged"), None), strategy)
      val warning = models.head.summary.warnings.last
      assert(warning.startsWith("the training diverged: worker "), warning)
      assert(models.head.transform(data).select("prediction").distinct().count() === 1)
      assert(Blobs.accuracy(models.last.transform(data)) > 0.8, strategy)
      assert(models.last.summary.epochs.map(_.rows) === Seq.fill(8)(data.count()))
    }
    assert(ProcessState.now() === before)
  }

  test("a search in which all candidates diverge fails and names one, and nothing is left behind") {
    diverging.fit(data)
    val before = ProcessState.now()
    val classifier = diverging
    val error = intercept[TrainingDivergedException] {
      classifier.fit(data, ratesOf(classifier, 1e29, 1e30).toSeq)
    }
    assert(
      error.getMessage.startsWith("candidate 1 of 2 (learningRate = 1.0E29): "),
      error.getMessage
    )
    assert(ProcessState.now() === before)
  }

  test("a candidate that diverges does not end a cross validation, and does not win it") {
    val classifier = diverging
    val pipeline = new Pipeline().setStages(Array(classifier))
    Seq[Estimator[_]](classifier, pipeline).foreach { estimator =>
      val model = new CrossValidator()
        .setEstimator(estimator)
        .setEstimatorParamMaps(ratesOf(classifier, 1e30, 0.2))
        .setEvaluator(new MulticlassClassificationEvaluator().setMetricName("accuracy"))
        .setNumFolds(2)
        .fit(data)
      assert(model.avgMetrics.head < 0.5 && model.avgMetrics.last > 0.8, model.avgMetrics.toSeq)
      val best = model.bestModel match {
        case fitted: PipelineModel => fitted.stages.head
        case other => other
      }
      assert(best.asInstanceOf[NetworkClassificationModel].getLearningRate === 0.2)
    }
    intercept[TrainingDivergedException](classifier.fit(data, ratesOf(classifier, 1e30).head))
  }

  test("a candidate whose settings do not fit is named before anything is trained") {
    val classifier = Blobs.classifier()
    val grid = Seq(ParamMap(classifier.window -> 2), ParamMap(classifier.strategy -> "sync"))
    val error = intercept[IllegalArgumentException](classifier.fit(data, grid))
    assert(error.getMessage.startsWith("candidate 2 of 2 (strategy = sync): "), error.getMessage)
    assert(error.getMessage.contains("window"))
  }

  test("one candidate may end early while the others go on") {
    val classifier = Blobs.classifier().setEpochs(30)
    val models = classifier.fit(
      data,
      Seq(ParamMap(classifier.targetLoss -> 100.0), ParamMap(classifier.targetLoss -> 1e-9))
    )
    assert(models.map(_.summary.stopped) === Seq(Some("targetLoss"), None))
    assert(models.head.summary.epochs.size < 30)
    assert(models.last.summary.epochs.map(_.rows) === Seq.fill(30)(data.count()))
  }

  test("a task that is tried again after one of its candidates has finished trains the others") {
    val (short, long) = (1, 3000)
    val classifier = Blobs.classifier()
    @volatile var task = 0L
    val listener = new SparkListener {
      override def onTaskStart(start: SparkListenerTaskStart): Unit =
        if (start.taskInfo.index == 1) task = start.taskInfo.taskId
    }
    def candidates: Int = ProcessState.now().threads.count(_.startsWith("firesteel-candi"))
    spark.sparkContext.addSparkListener(listener)
    try {
      val maps = Seq(short, long).map(epochs => ParamMap(classifier.epochs -> epochs))
      val fit = Future(classifier.fit(data, maps))
      eventually(assert(candidates === 2))
      assert(spark.sparkContext.killTaskAttempt(task, interruptThread = false, "a test"))
      val ledgers = Await.result(fit, 60.seconds).map(_.summary.ledger)
      assert(ledgers.map(_.map(_.rows).sum) === Seq(short, long).map(_ * data.count()))
      val attempts = ledgers.map(_.flatMap(_.spans.map(_.attempt)).distinct.size)
      assert(attempts === Seq(2, 3), "the first had finished, the other was tried again")
    } finally spark.sparkContext.removeSparkListener(listener)
  }

  test("bad rows fail all candidates by column and row, as they do one") {
    val bad = data.withColumn("label", col("label") - 1)
    val classifier = Blobs.classifier()
    val error = intercept[InvalidDataException](classifier.fit(bad, maps(classifier).toSeq))
    assert(error.getMessage.contains("'label'"), error.getMessage)
  }

  test("every candidate has its own checkpoints") {
    val folder = Files.createTempDirectory("firesteel")
    val classifier =
      Blobs.classifier().setCheckpointDir(folder.toUri.toString).setCheckpointCommits(1)
    val models = classifier.fit(data, maps(classifier).toSeq)
    assert(models.map(_.getLearningRate) === rates)
    assert(folder.toFile.list().isEmpty, "those of finished fits are removed")
  }

  test("regressors take several maps as well, and none gives no model") {
    val regressor = new NetworkRegressor()
      .setNetwork(Network.sequential(Linear(1)))
      .setEpochs(1)
    val grid = new ParamGridBuilder().addGrid(regressor.epochs, Array(1, 2)).build()
    assert(regressor.fit(data, grid.toSeq).map(_.summary.epochs.size) === Seq(1, 2))
    assert(regressor.fit(data, Nil).isEmpty)
  }

  test("a fit with rounds that finds the slots taken by another waits for it") {
    // Numbers, whose shape is known without a look at the first row, which would wait for a slot as well.
    val numbers = data.select(
      col("label") +: (0 until Blobs.Size).map(i =>
        vector_to_array(col("features"))(i).as(s"x$i")
      ): _*
    )
    def fit(group: String, epochs: Int): NetworkClassificationModel = {
      val classifier = Blobs.classifier().setStrategy("sync").setEpochs(epochs)
      classifier.clear(classifier.window)
      spark.sparkContext.setJobGroup(group, "a fit", interruptOnCancel = false)
      classifier.setFeaturesCols(Array.tabulate(Blobs.Size)(i => s"x$i")).fit(numbers)
    }
    def running: Int = spark.sparkContext.statusTracker.getExecutorInfos.map(_.numRunningTasks).sum
    val first = Future(intercept[SparkException](fit("first", 10000000)))
    eventually(assert(running === 2))
    @volatile var epochs = 0
    val second = new Thread(() => epochs = fit("second", 2).summary.epochs.size)
    second.start()
    eventually(assert(second.getStackTrace.exists(_.getClassName.endsWith("FitSlots"))))
    spark.sparkContext.cancelJobGroup("first")
    Await.result(first, 30.seconds)
    second.join(30000)
    assert(epochs === 2)
  }

  test("a cross validation with parallelism 2 trains strategies with rounds to the end") {
    val classifier = Blobs.classifier().setStrategy("sync").setEpochs(20)
    classifier.clear(classifier.window)
    val validator = new CrossValidator()
      .setEstimator(classifier)
      .setEstimatorParamMaps(maps(classifier))
      .setEvaluator(new MulticlassClassificationEvaluator().setMetricName("accuracy"))
      .setNumFolds(2)
      .setParallelism(2)
    val model = Await.result(Future(validator.fit(data)), 120.seconds)
    assert(model.avgMetrics.max > 0.9)
  }
}
